"""A line that waits for Enter and drops every other key: what was typed at one question must not answer another."""

from prompt_toolkit.application import Application
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.layout import FormattedTextControl, Layout, Window


def gate(text: str) -> Application[str]:
    """An application that shows `text` and ends with "ready" at Enter; Ctrl-D and Ctrl-C end it as they end a prompt."""
    bindings = KeyBindings()

    @bindings.add("enter")
    def begin(event: KeyPressEvent) -> None:
        event.app.exit(result="ready")

    @bindings.add("c-c")
    @bindings.add("<sigint>")
    def interrupt(event: KeyPressEvent) -> None:
        event.app.exit(exception=KeyboardInterrupt)

    @bindings.add("c-d")
    def detach(event: KeyPressEvent) -> None:
        event.app.exit(exception=EOFError)

    window = Window(FormattedTextControl(text, show_cursor=False), dont_extend_height=True, always_hide_cursor=True, wrap_lines=True)
    return Application(Layout(window), key_bindings=bindings, erase_when_done=True)
