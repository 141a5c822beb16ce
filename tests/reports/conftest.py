"""What a report is made of: an incident with real digits, played for it, in the ledger of a state folder."""

import pytest

from agents.ledger import Ledger
from tests.web.scene import APPROVE, AUDIT, Scene


@pytest.fixture(scope="session")
def played(tmp_path_factory):
    """A state folder, and the messages of an incident that was mended; a filter went live with record 1710."""
    folder = tmp_path_factory.mktemp("played")
    with Scene(folder) as office:
        office.watch()
        office.analyse()
        office.ask_labels(AUDIT)
        for seq, answer in zip(list(office.images)[:6], office.answers, strict=False):
            office.ahead += 2.0
            office.reception.answer(AUDIT, answer, "ana", seq)
        office.assess()
        office.measure()
        office.ahead += 30
        office.reception.answer(APPROVE, "approve", "bob", reason="the classifier stays as it was certified")
        office.mend()
        ledger = Ledger.in_folder(folder, clock=lambda: 0.0)
        ledger.append(office.messages)
        ledger.close()
        return folder, list(office.messages)
