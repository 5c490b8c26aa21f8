"""What the queue and the limits share in Redis: one connection, one loop that talks, one list of workers."""
