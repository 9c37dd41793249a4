# syntax=docker/dockerfile:1
# Targets: api (the REST service), worker (CPU), worker-gpu (ONNX Runtime's CUDA provider), worker-gpu-tfjs (tfjs-node-gpu).
FROM node:22-bookworm-slim AS base
WORKDIR /app
ENV NODE_ENV=production
COPY package.json package-lock.json .npmrc prisma.config.ts ./
COPY scripts ./scripts
COPY prisma ./prisma
RUN npm ci --omit=dev
COPY bin ./bin
COPY cli ./cli
COPY core ./core
COPY src ./src
COPY workers ./workers
COPY tsconfig.json ./
RUN node scripts/postinstall.js \
  && useradd --system --create-home --uid 10001 readapt \
  && mkdir -p /var/lib/readapt && chown readapt /var/lib/readapt
USER readapt
ENV READAPT_DATA_DIR=/var/lib/readapt READAPT_GRAPH_CACHE=/var/lib/readapt/graphs READAPT_HOST=0.0.0.0 READAPT_PORT=8080
VOLUME /var/lib/readapt

FROM base AS api
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8080/readyz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "bin/readapt.js", "serve"]

FROM base AS worker
CMD ["node", "bin/readapt.js", "worker"]

# The two GPU workers: docs/devices.md takes them step by step. This project has built neither image and run neither on a
# card; their install scripts it has run. Both need `--gpus all` and the NVIDIA driver on the host.
FROM base AS worker-gpu
USER root
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates python3 python3-venv \
  && scripts/install-cuda-provider.sh && rm -rf /var/lib/apt/lists/*
USER readapt
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility READAPT_DEVICE=cuda
CMD ["node", "bin/readapt.js", "worker"]

FROM base AS worker-gpu-tfjs
USER root
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates python3 python3-venv make g++ binutils \
  && scripts/install-tfjs-node.sh gpu && rm -rf /var/lib/apt/lists/*
USER readapt
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility READAPT_DEVICE=tfjs-node-gpu
CMD ["node", "bin/readapt.js", "worker"]
