"""What takes single keys while a question has the terminal, and draws itself anew after each."""

import asyncio
from collections.abc import Callable

from prompt_toolkit.application import Application
from prompt_toolkit.formatted_text import ANSI
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.layout import FormattedTextControl, Layout, Window
from prompt_toolkit.output import ColorDepth
from rich.console import Console, RenderableType

LEAVE = "\x04"  # put among the keys by Ctrl-D


def key_app(
    pressed: "asyncio.Queue[str]", draw: Callable[[int, int], RenderableType], console: Console, interrupted: Callable[[], None]
) -> Application[str]:
    """An application that puts every printable key into `pressed`.

    Parameters
    ----------
    draw : what to show in so many columns and rows; asked anew after each key and each change of the terminal's size.
    console : knows what the terminal can show.
    interrupted : called at Ctrl-C, before the application ends.
    """
    bindings = KeyBindings()

    @bindings.add(Keys.Any)
    def take(event: KeyPressEvent) -> None:
        key = event.key_sequence[0].key
        if not isinstance(key, Keys) and key.isprintable():  # arrows and the like mean nothing here
            pressed.put_nowait(key)

    @bindings.add("c-c")
    @bindings.add("<sigint>")
    def interrupt(event: KeyPressEvent) -> None:
        interrupted()
        event.app.exit(result="")

    @bindings.add("c-d")
    def detach(_event: KeyPressEvent) -> None:
        pressed.put_nowait(LEAVE)

    def content() -> ANSI:
        size = app.output.get_size()
        with console.capture() as capture:
            console.print(draw(size.columns - 1, size.rows), width=size.columns - 1)
        return ANSI(capture.get().rstrip("\n"))

    control = FormattedTextControl(content, show_cursor=False)
    depth = ColorDepth.DEPTH_24_BIT if console.color_system == "truecolor" else None
    window = Window(control, dont_extend_height=True, always_hide_cursor=True)
    app: Application[str] = Application(Layout(window), key_bindings=bindings, erase_when_done=True, color_depth=depth)
    return app
