"""Where accepted posts, and the intents of bulk sends, are kept until they are done with."""
