"""What a business's server does to say who its customer is; the README has the same lines."""
