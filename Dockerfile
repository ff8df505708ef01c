# One image: `parley serve` by default; `parley tools --http`, `parley doctor` and `parley chat` are in it, too.
FROM node:22-bookworm-slim AS widget
WORKDIR /srv/parley
COPY web web/
RUN cd web && npm ci --omit=dev --ignore-scripts --no-audit --no-fund && npm run --silent build

FROM python:3.11-slim-bookworm AS build
WORKDIR /srv/parley
RUN python -m venv .venv && .venv/bin/pip install --quiet --no-cache-dir uv==0.13.8
ENV UV_COMPILE_BYTECODE=1 UV_NO_CACHE=1
# `--build-arg PACKAGES=requirements-voice.lock`: an image that runs `parley voice`, too.
ARG PACKAGES=requirements.lock
COPY deploy/requirements.lock deploy/requirements-voice.lock deploy/
RUN .venv/bin/uv pip install --python .venv/bin/python --require-hashes -r deploy/$PACKAGES
COPY pyproject.toml README.md ./
COPY agent_core agent_core/
COPY app app/
COPY tools tools/
COPY voice voice/
COPY web web/
COPY --from=widget /srv/parley/web/dist web/dist/
RUN .venv/bin/uv pip install --python .venv/bin/python --no-deps --no-build-isolation -e . \
    && .venv/bin/python -m compileall -q agent_core app tools voice \
    && .venv/bin/uv pip uninstall --python .venv/bin/python uv

FROM python:3.11-slim-bookworm
RUN useradd --uid 10001 --no-create-home parley && install -d -o parley /srv/parley/var
WORKDIR /srv/parley
COPY --from=build /srv/parley /srv/parley
ENV PATH=/srv/parley/.venv/bin:$PATH PYTHONUNBUFFERED=1 PARLEY_HOST=0.0.0.0 PARLEY_ENVIRONMENT=production
USER parley
# The SQLite files: keep it on a local disk. Not used with PostgreSQL and a team of one's own.
VOLUME /srv/parley/var
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.getenv(\"PARLEY_PORT\", 8000)}/readyz', timeout=2)"]
CMD ["parley", "serve"]
