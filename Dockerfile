# The plain server. Built and run by the commands in docs/server.md; a test runs those below without a container.
# By tag, for whoever tries it. docs/server.md says how to pin it by its digest.
ARG PYTHON_IMAGE=python:3.14-slim

FROM ${PYTHON_IMAGE} AS build
WORKDIR /build
COPY requirements/build.txt requirements/server.txt requirements/
COPY pyproject.toml README.md LICENSE ./
COPY src/threadkeep/ src/threadkeep/
RUN python -m venv /opt/build \
 && /opt/build/bin/pip install --no-cache-dir --require-hashes --requirement requirements/build.txt \
 && PATH="/opt/build/bin:$PATH" /opt/build/bin/pip wheel --no-deps --no-build-isolation --no-index --wheel-dir wheels . \
 && python -m venv --without-pip /opt/threadkeep \
 && /opt/build/bin/pip --python /opt/threadkeep/bin/python install --no-cache-dir --require-hashes --requirement requirements/server.txt \
 && /opt/build/bin/pip --python /opt/threadkeep/bin/python install --no-cache-dir --no-deps --no-index wheels/*.whl

FROM ${PYTHON_IMAGE}
COPY --from=build /opt/threadkeep /opt/threadkeep
# Whoever runs it owns nothing but the folder of the SQLite file, where that is the back end.
RUN useradd --system --uid 10001 --no-create-home threadkeep && install --directory --owner=threadkeep /data
ENV PATH="/opt/threadkeep/bin:$PATH" PYTHONUNBUFFERED=1
USER 10001
WORKDIR /data
EXPOSE 8787
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8787/api/ready', timeout=4)"]
CMD ["threadkeep", "serve", "--host", "0.0.0.0", "--port", "8787"]
