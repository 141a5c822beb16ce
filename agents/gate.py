"""Lines that wait for a key: Enter, so that what was typed at one question does not answer another; or y, before something is undone."""

from prompt_toolkit.application import Application
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.layout import FormattedTextControl, Layout, Window


def gate(text: str) -> Application[str]:
    """An application that shows `text` and ends with "ready" at Enter; Ctrl-D and Ctrl-C end it as they end a prompt."""
    bindings = _bindings()

    @bindings.add("enter")
    def begin(event: KeyPressEvent) -> None:
        event.app.exit(result="ready")

    return _shown(text, bindings)


def confirmation(text: str) -> Application[str]:
    """An application that shows `text` and ends with "yes" at y, and with "no" at any other key; Ctrl-D and Ctrl-C end it as they end a prompt."""
    bindings = _bindings()

    @bindings.add(Keys.Any)
    def take(event: KeyPressEvent) -> None:
        event.app.exit(result="yes" if event.key_sequence[0].key in ("y", "Y") else "no")

    @bindings.add("enter")
    def refuse(event: KeyPressEvent) -> None:
        event.app.exit(result="no")

    return _shown(text, bindings)


def _bindings() -> KeyBindings:
    bindings = KeyBindings()

    @bindings.add("c-c")
    @bindings.add("<sigint>")
    def interrupt(event: KeyPressEvent) -> None:
        event.app.exit(exception=KeyboardInterrupt)

    @bindings.add("c-d")
    def detach(event: KeyPressEvent) -> None:
        event.app.exit(exception=EOFError)

    return bindings


def _shown(text: str, bindings: KeyBindings) -> Application[str]:
    window = Window(FormattedTextControl(text, show_cursor=False), dont_extend_height=True, always_hide_cursor=True, wrap_lines=True)
    return Application(Layout(window), key_bindings=bindings, erase_when_done=True)
