"""`python -m agents.webhook`: make a secret, send a test to each webhook of a file, verify a message that came."""

import os
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from agents.messages import NoteMade
from agents.outward.door import HttpPost, Unreachable
from agents.outward.hooks import HookError, load_hooks, payload
from agents.outward.signing import SecretError, SignatureError, key_of, new_secret, sign, verify

app = typer.Typer(add_completion=False, help="Make a secret, send a test to each webhook of a file, verify a message that came.")


@app.command()
def secret() -> None:
    """Print a new secret, for the webhook's file and for who receives it."""
    typer.echo(new_secret())


@app.command(name="try")
def attempt(file: Annotated[Path, typer.Argument(help="The TOML file of webhooks.")]) -> None:
    """Send a signed test to each webhook of a file; exit code 1 when one did not take it."""
    try:
        hooks = load_hooks(file, os.environ)
    except HookError as error:
        raise _refused(error) from None
    post, failed, now = HttpPost(), False, time.time()
    for hook in hooks:
        test = NoteMade(id=f"test-{now:.0f}", source="webhook", time=now, text="this is a test; nothing has happened")
        body = payload(test, "test")
        try:
            answer = post.post(hook.url, body, {"content-type": "application/json"} | sign(hook.key, test.id, now, body))
            told, taken = f"HTTP {answer.status}", answer.taken
        except Unreachable as error:
            told, taken = str(error), False
        failed |= not taken
        typer.echo(f"{hook.name}: {'taken' if taken else 'NOT taken'} ({told})")
    post.close()
    if failed:
        raise typer.Exit(1)


@app.command(name="verify")
def check(
    message_id: Annotated[str, typer.Option("--id", help="The header webhook-id.")],
    timestamp: Annotated[str, typer.Option(help="The header webhook-timestamp.")],
    signature: Annotated[str, typer.Option(help="The header webhook-signature.")],
    variable: Annotated[str, typer.Option("--secret-env", help="Name of the environment variable that holds the secret.")] = "WEBHOOK_SECRET",
    at: Annotated[float | None, typer.Option(help="UTC seconds when it came; by default now.")] = None,
) -> None:
    """Verify a message, whose body is read from the standard input; exit code 1 when it is not genuine."""
    headers = {"webhook-id": message_id, "webhook-timestamp": timestamp, "webhook-signature": signature}
    try:
        verify(key_of(os.environ.get(variable, "")), headers, sys.stdin.buffer.read(), time.time() if at is None else at)
    except SecretError as error:
        raise _refused(f"the environment variable {variable}: {error}") from None
    except SignatureError as error:
        typer.echo(f"not genuine: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo("genuine")


def _refused(error: object) -> typer.Exit:
    typer.echo(f"error: {error}", err=True)
    return typer.Exit(2)


if __name__ == "__main__":
    app()
