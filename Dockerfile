# The hub's image: one program, whose command a service names (docker-compose.yml). No secret and no data is in it.

FROM node:24.18.0-bookworm-slim AS page
WORKDIR /page
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev

FROM python:3.11.14-slim-trixie
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app

# What the program needs, before the program: this layer stays while only the code changes.
COPY pyproject.toml constraints.txt ./
RUN python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' \
      > /tmp/dependencies.txt \
    && pip install --constraint constraints.txt --requirement /tmp/dependencies.txt setuptools \
    && rm /tmp/dependencies.txt

# It runs from its folder, as everywhere: templates, SQL and the city lie beside the code.
COPY LICENSE mosquitto.conf ./
COPY alerts alerts
COPY dashboard dashboard
COPY devices devices
COPY hub hub
COPY ingest ingest
COPY rules rules
COPY simulators simulators
COPY store store
COPY --from=page /page/node_modules node_modules
COPY --chmod=755 docker/connected.sh /usr/local/bin/connected
RUN pip install --no-build-isolation --no-deps --editable . && python -m compileall -q .

RUN useradd --uid 10001 --no-create-home --home-dir /var/lib/beffroi --shell /usr/sbin/nologin beffroi \
    && install --directory --owner=beffroi --group=beffroi --mode=700 /var/lib/beffroi /var/lib/beffroi/mosquitto \
    && install --directory --owner=beffroi --group=beffroi --mode=755 /dashboards
USER beffroi

ENTRYPOINT ["beffroi"]
CMD ["--help"]
