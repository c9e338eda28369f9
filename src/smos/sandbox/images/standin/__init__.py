"""Stand-ins: small servers in the place of products that no package registry has, for deploys into the sandbox's VPS.

A stand-in has the product's ports, settings, health checks, commands and bootstrap calls, and behaves like it where a deploy
depends on that. It says what it is: every answer bears ``X-SmarterOS-Stand-In``. What it was given is recorded in
``/var/lib/standin/record.jsonl``: names of variables, arguments and calls, never the value of a secret.

Each module is a program (``python3 -m standin.n8n``). Standard library only: it runs in an image with nothing else.
Source of the behaviour: the products' own sources and documentation; what is left out answers 404, or ends with an error.
"""
