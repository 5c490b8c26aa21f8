"""What all parts that workers share in Redis have in common: the server, its scripts, settings of theirs."""
