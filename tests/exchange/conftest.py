from tests.console.conftest import images, office, visitor

__all__ = ["images", "office", "visitor"]
