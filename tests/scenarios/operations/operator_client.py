"""Client for the operator's endpoints of a bot: metrics and status pages."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from tests.scenarios.conftest import Bots, ScenarioClient, free_port


@dataclass(frozen=True, slots=True)
class Sample:
    """One number of a scrape."""

    name: str
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Scrape:
    """The content of `/metrics`, parsed by Prometheus' own parser."""

    families: Mapping[str, str]
    """The type of each metric, by its name."""
    samples: tuple[Sample, ...]

    def value(self, name: str, **labels: str) -> float:
        """The sum of the numbers with this name and these labels."""
        fitting = [
            sample.value
            for sample in self.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
        assert fitting, f"there is no {name} with {labels}"
        return sum(fitting)


class Operator:
    """Reads the operator's endpoints of a bot."""

    def __init__(self, bots: Bots, slack: ScenarioClient) -> None:
        """Prepare the environment of a bot that is not started yet."""
        self._slack = slack
        self._port = free_port()
        self.data = Path(bots.env["DATA_DIR"])
        bots.env["METRICS_PORT"] = str(self._port)

    async def get(self, path: str) -> tuple[int, str]:
        """The status and the text of a page."""
        url = f"http://127.0.0.1:{self._port}{path}"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return answer.status, await answer.text()

    async def scrape(self) -> Scrape:
        status, text = await self.get("/metrics")
        assert status == 200
        families = list(text_string_to_metric_families(text))
        return Scrape(
            families={family.name: family.type for family in families},
            samples=tuple(
                Sample(sample.name, sample.labels, sample.value)
                for family in families
                for sample in family.samples
            ),
        )

    async def until(self, name: str, value: float, timeout: float = 30.0, **labels: str) -> Scrape:
        """Wait until a number is at least `value`: Slack shows a result a moment before it is on
        record."""

        async def there() -> Scrape | None:
            scrape = await self.scrape()
            return scrape if scrape.value(name, **labels) >= value else None

        return await self._slack.wait_for(there, timeout, f"{name} {labels} is {value:g}")

    async def until_status(self, path: str, status: int, timeout: float = 30.0) -> None:
        """Wait until a page answers with this status."""

        async def so() -> bool:
            return (await self.get(path))[0] == status

        await self._slack.wait_for(so, timeout, f"{path} answers {status}")

    @contextmanager
    def locking_the_database(self) -> Iterator[None]:
        """Lock the database as another program would."""
        file = self.data / "threadpilot.db"
        with closing(sqlite3.connect(file, isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")
            yield
            database.execute("ROLLBACK")
