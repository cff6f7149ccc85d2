"""The examples at the end of each command's ``--help``."""

from typing import Final

EXAMPLES: Final = {
    "check": "infobip-async check --public-url https://sms.example.com/infobip",
    "cluster": """
infobip-async cluster load numbers.txt --cluster nats://host:4222 --job june
infobip-async cluster work --cluster nats://host:4222 --job june
infobip-async cluster results --cluster nats://host:4222 --job june -o june.csv
""",
    "completion": """
eval "$(infobip-async completion bash)"          # in ~/.bashrc
eval "$(infobip-async completion zsh)"           # in ~/.zshrc
infobip-async completion fish | source           # in config.fish
""",
    "credits": "infobip-async credits",
    "deliveries": """
infobip-async deliveries status sent.db
infobip-async deliveries follow sent.db --receive 0.0.0.0:8080
infobip-async deliveries export sent.db -o sent.csv
""",
    "demo": "infobip-async demo",
    "forget": "infobip-async forget +38598514674 infobip.journal people.job",
    "hlr": """
infobip-async hlr numbers.txt --receive 0.0.0.0:8080 -o answers.csv
infobip-async hlr people.xlsx --column phone --country HR --dry-run
infobip-async hlr people.csv --column phone --key-column id --keep name \\
    --job people.job -o answers.csv
""",
    "journal": """
infobip-async journal stats infobip.journal
infobip-async journal requeue infobip.journal --all
infobip-async journal salvage infobip.journal new.journal
""",
    "preview": """
infobip-async preview 'See you at 8 pm'
infobip-async preview --simplify --json '“Hello”'
""",
    "reports": "infobip-async reports --follow",
    "send": """
infobip-async send -s Friend -t 'Hello' 38598514674
infobip-async send -s Dentist -t '{name}, see you tomorrow!' \\
    --csv people.csv --recipient-column phone --country HR --dry-run
infobip-async send -s Friend -t 'Hello' 38598514674 --deliveries sent.db --poll
infobip-async send -s Shop -t 'Sale!' --csv people.xlsx --exclude stop.txt \\
    --max-parts 5000 --job sale.job -o outcomes.csv
""",
    "serve": "infobip-async serve --bind 0.0.0.0:8080 --journal infobip.journal",
    "simulate": """
infobip-async simulate --open
infobip-async simulate --callback-url http://127.0.0.1:8080 --record arrived.jsonl
""",
}
"""Lines to paste into a shell, by command."""


def epilog_of(name: str) -> str | None:
    """The examples of a command, set as they are; None where it has none."""
    if name not in EXAMPLES:
        return None
    lines = EXAMPLES[name].strip().splitlines()
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])
