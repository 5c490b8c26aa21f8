"""What is done to a store and its catalogue between crawls: files moved to other names, a lost catalogue made again."""
