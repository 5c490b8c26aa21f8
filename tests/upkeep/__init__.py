"""What is done between crawls."""
