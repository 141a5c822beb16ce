"""Starts a courier for each receiver that the cluster was told of, and ends them with it."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from agents.ledger import Ledger
from agents.messages import Message
from agents.outward.courier import Courier, Receiver
from agents.outward.cursor import Cursor
from agents.outward.door import HttpPost, Post, shown
from agents.outward.events import Events
from agents.outward.hooks import GIVE_UP, Hook, Hooked


def send_out(
    folder: Path, events: Events | None, hooks: Sequence[Hook], *, post: Callable[[Message], None],
    listen: Callable[[Callable[[Message], None]], None], page: Callable[[], str], say: Callable[[str], None], cleanup: ExitStack,
    door: Callable[[], Post] = HttpPost,
) -> list[Courier]:
    """One courier a receiver, each with its own way into the ledger, so that reading never keeps the switchboard from writing.

    Parameters
    ----------
    folder : the state folder.
    post, listen : of the switchboard: to put deliveries on record, and to be told that there is something new.
    page : address of the web page, for links; empty where there is none.
    """
    receivers: list[tuple[Receiver, str, float | None]] = [(Hooked(hook, post, page), f"webhook-{hook.name}", GIVE_UP) for hook in hooks]
    if events is not None:
        receivers.append((events, "events", None))
    if not receivers:
        return []
    ledger = Ledger.in_folder(folder, clock=time.time)
    cleanup.callback(ledger.close)
    couriers = []
    for receiver, kind, give_up in receivers:
        cursor = Cursor(folder, kind, receiver.url)
        if cursor.read() is None and kind != "events":  # nobody wants to be woken for what was long ago; events are told from the first one
            cursor.write(ledger.end())
        courier = Courier(receiver, door(), cursor, ledger.after, clock=time.time, give_up=give_up)
        listen(courier.wake)
        courier.start()
        cleanup.callback(courier.close)
        couriers.append(courier)
        say(f"{receiver.name}: {shown(receiver.url)}")
    return couriers
