"""Lines go out, as Mezmo's export addresses give them."""
