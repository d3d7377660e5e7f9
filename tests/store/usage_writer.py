"""A process that writes the use of keys beside others, for test_key_usage.py: URL, seed, rounds, keys."""

import random
import sys

from logboom.database.engine import open_database
from logboom.keys.usage import Counters, User
from logboom.keys.usage_repository import UsageRepository

HOUR = 1_700_000_000_000 // 3_600_000 * 3_600_000


def main(url: str, seed: int, rounds: int, key_ids: list[str]) -> None:
    repository, chance = UsageRepository(open_database(url)), random.Random(seed)  # noqa: S311 not a secret
    for turn in range(rounds):
        counters = Counters()
        for key_id in chance.sample(key_ids, len(key_ids)):
            for number in range(30):
                address = f"10.{seed}.0.{chance.randrange(40)}" if number % 2 else "10.0.0.1"
                user = User(key_id, 1 + number % 2, address, "a/1", "h", "header", "logs")
                counters.opened((*user, HOUR), HOUR + turn)
        repository.add(counters.take())


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
