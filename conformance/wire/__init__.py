"""What travels: exchanges, traces and their views. Sans-I/O, bytes in and values out."""
