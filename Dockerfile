# A headless engine with the console inside: `docker build -t headway .`, then docs/server.md.
# Agents are not in it: their CLIs are installed by the image that is made from this one, or mounted.
FROM python:3.13-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY engine engine
COPY console console
COPY themes themes
COPY skills skills
RUN python -m venv /opt/headway && /opt/headway/bin/pip install --no-cache-dir '.[llm,memory]'

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
