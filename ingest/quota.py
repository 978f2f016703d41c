"""Which messages of a source are over the quota of their topic. Pure: its time is seconds of a steady clock.

Each topic has a bucket, kept as one moment (GCRA): until when what it has said is paid for. A message moves it by what
the message costs, and is over the quota when it would lie more than the burst ahead of now; it then moves nothing. So a
topic gets in any stretch of time what its rate allows in it, and a burst.

Nobody is punished for the hub's own absence: what a broker kept meanwhile comes at once. When nothing was heard for
`AWAY_S` every topic is given that time as credit, for as long as it may take to come: twice the absence and a minute.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from devices.quota import BURST_S, GATEWAY_BYTES, GATEWAY_MESSAGES, Rate, speaker
from ingest.log import Flag

AWAY_S = 5.0
"""Less is covered by the burst."""
LONGEST_AWAY_S = 30 * 86_400.0
"""A broker keeps the session of an absent hub no longer."""
TOPICS = 100_000
"""So many buckets at most; beyond, those of which least is used are forgotten, which forgives what was used."""
SAMPLE_S = 60.0
"""Of a topic over its quota, one message in so much time is kept ..."""
SAMPLES_PER_H = 100
"""... and of a source so many an hour ..."""
SAMPLE_BYTES = 16_384
"""... of which so much at most."""


@dataclass(slots=True)
class Bucket:
    """One topic's."""

    rate: Rate
    paid_s: float
    """Until when what was said is paid for; in the past for a topic that said little."""
    sampled_s: float = -SAMPLE_S


class Quota:
    """The buckets of one source."""

    def __init__(self, rate: Rate, carries_many: Callable[[str], bool], *, topics: int = TOPICS) -> None:
        self._rate = rate
        self._gateway_rate = rate.times(GATEWAY_MESSAGES, GATEWAY_BYTES)
        self._carries_many = carries_many
        self._buckets: dict[str, Bucket] = {}
        self._topics = topics
        self.heard_s: float | None = None
        """When something last came."""
        self._away: deque[tuple[float, float]] = deque()
        """(when it is forgotten, how long it was) of each absence."""
        self._credit_s = 0.0
        self._samples_s = 0.0
        """Until when the samples of this source are paid for."""

    def __len__(self) -> int:
        return len(self._buckets)

    def heard(self, now_s: float) -> None:
        """Something comes from the source now; what was not heard since the last time may come with it."""
        away_s = min(now_s - (now_s if self.heard_s is None else self.heard_s), LONGEST_AWAY_S)
        self.heard_s = now_s
        if away_s >= AWAY_S:
            self._away.append((now_s + 2 * away_s + 60, away_s))
        if self._away:
            self._away = deque((until, length) for until, length in self._away if until > now_s)
            self._credit_s = sum(length for _, length in self._away)

    def judge(self, topic: str, size: int, now_s: float) -> int:
        """The log's flags of a message that has come: 0, OVER_QUOTA, or that and SAMPLE."""
        topic = speaker(topic)
        bucket = self._buckets.get(topic) or self._new(topic, now_s)
        rate, paid_s, floor_s = bucket.rate, bucket.paid_s, now_s - self._credit_s
        # Every message passes here, and `max` costs as much as all the rest.
        if paid_s < floor_s:  # noqa: PLR1730
            paid_s = floor_s
        by_size_s = size * rate.byte_s
        paid_s += by_size_s if by_size_s > rate.message_s else rate.message_s
        if paid_s > now_s + BURST_S:
            return Flag.OVER_QUOTA | self._sample(bucket, size, now_s)
        bucket.paid_s = paid_s
        return 0

    def _sample(self, bucket: Bucket, size: int, now_s: float) -> int:
        hour_s = max(self._samples_s, now_s - 3600)
        if not size or now_s - bucket.sampled_s < SAMPLE_S or hour_s + 3600 / SAMPLES_PER_H > now_s:
            return 0
        bucket.sampled_s, self._samples_s = now_s, hour_s + 3600 / SAMPLES_PER_H
        return Flag.SAMPLE

    def _new(self, topic: str, now_s: float) -> Bucket:
        if len(self._buckets) >= self._topics:
            self._forget(now_s)
        rate = self._gateway_rate if self._carries_many(topic) else self._rate
        bucket = self._buckets[topic] = Bucket(rate, now_s - self._credit_s)
        return bucket

    def _forget(self, now_s: float) -> None:
        """Forget the buckets that are full again, then those of which least is used, until half of all are gone."""
        floor_s = now_s - self._credit_s
        used = [(topic, bucket) for topic, bucket in self._buckets.items() if bucket.paid_s > floor_s]
        used.sort(key=lambda one: one[1].paid_s, reverse=True)
        self._buckets = dict(used[: self._topics // 2])
