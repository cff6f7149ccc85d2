PYTHONPATH=/tmp/wm exec /tmp/w/bin/python -m pytest "$@"
