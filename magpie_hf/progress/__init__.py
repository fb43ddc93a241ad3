"""How a build is watched: events, the speed of its engines, and what is shown of them while it runs."""
