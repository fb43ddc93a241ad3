"""What a way of drawing is worth, tried before a build: settings, yields, the open turn. Not imported here: stays light."""
