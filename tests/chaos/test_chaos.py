"""A short part of the campaign that ``make chaos`` runs whole."""

from __future__ import annotations

from pathlib import Path

from tests.chaos.campaign import Campaign


def test_deaths_of_workers_and_a_scheduler_change_no_byte(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path, side=80, worker_deaths=2, scheduler_deaths=1, pause=0.2)
    assert list(campaign.run()), "it has run"
    assert campaign.faults == []
