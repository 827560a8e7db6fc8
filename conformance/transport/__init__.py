"""How it is said: the only room with sockets."""
