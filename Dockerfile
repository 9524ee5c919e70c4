# A headless engine with the console inside: `docker build -t headway .`, then docs/server.md.
# Agents are not in it: their CLIs are installed by the image that is made from this one, or mounted.
FROM python:3.13-slim AS build
WORKDIR /src
# Every package by the hashes of the lock. What builds stays in this stage: the environment that is copied has no pip.
COPY .lock .lock
RUN python -m venv /opt/build \
    && /opt/build/bin/pip install --no-cache-dir --require-hashes --requirement .lock/build.txt \
    && python -m venv --without-pip /opt/headway \
    && /opt/build/bin/pip --python /opt/headway/bin/python install --no-cache-dir --require-hashes --requirement .lock/serve.txt
COPY pyproject.toml README.md LICENSE ./
COPY engine engine
COPY console console
COPY themes themes
COPY skills skills
# And a list of all that is in it, for whoever has to know: /opt/headway/sbom.cdx.json
RUN /opt/build/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir dist . \
    && /opt/build/bin/pip --python /opt/headway/bin/python install --no-cache-dir --no-deps --no-index dist/*.whl \
    && /opt/build/bin/cyclonedx-py environment --output-reproducible --of JSON -o /opt/headway/sbom.cdx.json /opt/headway/bin/python

FROM python:3.13-slim
# tini reaps what agents leave behind and passes signals on; git makes a worktree for each job.
RUN apt-get update && apt-get install --yes --no-install-recommends tini git openssh-client \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 headway \
    && install --directory --owner headway --mode 0700 /var/lib/headway
COPY --from=build /opt/headway /opt/headway
ENV PATH=/opt/headway/bin:$PATH HEADWAY_HOME=/var/lib/headway
USER headway
VOLUME /var/lib/headway
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["headway", "service", "health"]
ENTRYPOINT ["/usr/bin/tini", "--", "headway"]
CMD ["serve", "--log", "json", "--drain", "20"]
