import os
import time

import jwt  # pip install pyjwt


def parley_identity(customer_id: str, name: str) -> str:
    """For parley("identify", ...) on a page that this customer is signed in to."""
    claims = {
        "sub": customer_id,  # your own id of the customer
        "name": name,
        "aud": "parley:" + os.environ["PARLEY_SITE"],
        "exp": int(time.time()) + 600,
    }
    return jwt.encode(claims, os.environ["PARLEY_SITE_SECRET"], algorithm="HS256")
