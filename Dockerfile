# One image, four roles: web, control worker, node worker, beat (see compose.yaml for their commands).
#
#   docker build -t scaleweb .                                        CPU build of torch
#   docker build -t scaleweb --build-arg TORCH_INDEX= .                torch with CUDA, for GPU nodes
#
# The base is pinned to the bit: a new one is a change here, and shows in the history.
ARG BASE=python:3.11.14-slim-bookworm@sha256:65a93d69fa75478d554f4ad27c85c1e69fa184956261b4301ebaf6dbb0a3543d

FROM ${BASE} AS packages
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
WORKDIR /build
COPY requirements.txt .
RUN python -m venv /opt/venv \
 && grep '^torch==' requirements.txt > torch.txt \
 && /opt/venv/bin/pip install --no-cache-dir ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} -r torch.txt \
 && /opt/venv/bin/pip install --no-cache-dir -r requirements.txt

FROM ${BASE}
RUN useradd --create-home --uid 10001 scaleweb && mkdir --mode 700 /data && chown scaleweb /data
COPY --from=packages /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 SCALEWEB_HOME=/data
WORKDIR /srv/scaleweb
COPY . .
RUN pip install --no-cache-dir --no-deps .
USER scaleweb
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["python", "scripts/healthcheck.py"]
CMD ["uvicorn", "scaleweb.asgi:application", "--host", "0.0.0.0", "--port", "8000", \
     "--ws", "scaleweb.websockets:FramesProtocol", \
     "--ws-per-message-deflate", "false", "--lifespan", "on", "--no-access-log", "--timeout-graceful-shutdown", "5", \
     "--proxy-headers"]
