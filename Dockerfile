# One image, four roles: web, control worker, node worker, beat (see compose.yaml for their commands).
#
#   docker build -t scaleweb .                                        CPU build of torch
#   docker build -t scaleweb --build-arg TORCH_INDEX= .                torch with CUDA, for GPU nodes

FROM python:3.11-slim AS packages
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
WORKDIR /build
COPY requirements.txt .
RUN python -m venv /opt/venv \
 && grep '^torch==' requirements.txt > torch.txt \
 && /opt/venv/bin/pip install --no-cache-dir ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} -r torch.txt \
 && /opt/venv/bin/pip install --no-cache-dir -r requirements.txt

FROM python:3.11-slim
RUN useradd --create-home --uid 10001 scaleweb && mkdir /data && chown scaleweb /data
COPY --from=packages /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 SCALEWEB_HOME=/data
WORKDIR /srv/scaleweb
COPY . .
RUN pip install --no-cache-dir --no-deps .
USER scaleweb
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD \
  python -c "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"
CMD ["uvicorn", "scaleweb.asgi:application", "--host", "0.0.0.0", "--port", "8000", "--ws", "websockets-sansio", "--proxy-headers"]
