"""What a build will take before it runs, and how that compares with what it took. Nothing here loads a model but `measure` and `probe`."""
