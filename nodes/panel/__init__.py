"""What the search node and its panel on the page tell each other."""
