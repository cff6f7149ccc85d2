"""The gateway of the interface, to try clients and services on without an account."""

from infobip_async.simulator.clock import Clock, ManualClock, SystemClock
from infobip_async.simulator.faults import Fault, Faults
from infobip_async.simulator.gateway import Gateway
from infobip_async.simulator.handset import HandsetMessage
from infobip_async.simulator.policies import usual_extras
from infobip_async.simulator.records import (
    Counts,
    HlrAnswer,
    Lookup,
    Operation,
    Phone,
    PushAttempt,
    SentMessage,
)
from infobip_async.simulator.seeding import Seed, read_seed
from infobip_async.simulator.simulator import Simulator

__all__ = [
    "Clock",
    "Counts",
    "Fault",
    "Faults",
    "Gateway",
    "HandsetMessage",
    "HlrAnswer",
    "Lookup",
    "ManualClock",
    "Operation",
    "Phone",
    "PushAttempt",
    "Seed",
    "SentMessage",
    "Simulator",
    "SystemClock",
    "read_seed",
    "usual_extras",
]
