"""`parley customers`: what is kept of one of them. Imports nothing heavy before a command needs it."""

from __future__ import annotations

from typing import Annotated

import typer

from app.books import run

app = typer.Typer(
    help="A signed-in customer's data, to export or to erase.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Site = Annotated[str, typer.Argument(metavar="SITE", help="The site's public key, such as shop.")]
Customer = Annotated[
    str, typer.Argument(metavar="ID", help="Your own id of the customer: the sub that your server signs.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do it; without, it is only said what would be erased.")]


@app.command()
def export(site: Site, customer: Customer) -> None:
    """Print all conversations of a customer, as JSON."""
    run("customer_book", "export", site, customer)


@app.command()
def erase(site: Site, customer: Customer, yes: Yes = False) -> None:
    """Erase all conversations of a customer, for good."""
    run("customer_book", "erase", site, customer, yes=yes)
