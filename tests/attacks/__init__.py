"""What strangers try, as whole crawls: what each takes, and what comes of it."""
