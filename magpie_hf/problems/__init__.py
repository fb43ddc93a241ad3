"""What can be told of a problem from its text: rules, language, twins, benchmarks. Not here: stages and models."""
