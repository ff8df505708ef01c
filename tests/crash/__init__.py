"""Kill the server, again and again, and see that nothing acknowledged is lost and nothing is done twice."""
