# Brokers, gateways and the one-time grant of rights. Context: the root of the repository.
ARG PYTHON=python:3.11-slim

FROM ${PYTHON} AS made
WORKDIR /source
COPY deploy/requirements/run.txt deploy/requirements/
RUN python -m venv /opt/valise \
 && /opt/valise/bin/python -m pip install --quiet --no-cache-dir --require-hashes -r deploy/requirements/run.txt
COPY pyproject.toml README.md LICENSE ./
COPY deploy/requirements/run.in deploy/requirements/
COPY schemas schemas
COPY keys keys
COPY broker broker
COPY adapters adapters
RUN /opt/valise/bin/python -m pip install --quiet --no-cache-dir --no-deps --no-build-isolation . \
 && /opt/valise/bin/python -m compileall -q /opt/valise/lib

FROM ${PYTHON}
COPY --from=made /opt/valise /opt/valise
COPY deploy/kafka /opt/valise/tools/deploy/kafka
COPY deploy/compose/ready.py deploy/compose/rights.py /opt/valise/tools/
RUN groupadd --gid 10001 valise && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin valise \
 && install -d -m 700 -o 10001 -g 10001 /var/lib/valise
USER 10001:10001
ENV PYTHONDONTWRITEBYTECODE=1
ENTRYPOINT ["/opt/valise/bin/valise"]
