# syntax=docker/dockerfile:1
# Targets: api (the REST service), worker (CPU), worker-gpu (ONNX Runtime's CUDA provider), worker-gpu-tfjs (tfjs-node-gpu).
FROM node:22-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
COPY dashboard/package.json ./dashboard/
COPY lab/package.json ./lab/
COPY openapi/clients/typescript/package.json ./openapi/clients/typescript/
RUN npm ci --ignore-scripts
COPY . .
RUN npm run build
# `npm ci --omit=dev` would keep the compiler and Prisma's command line: the Prisma client names both as optional peers.
# Once package.json has no development dependencies, and no workspaces with theirs, nothing but that holds them.
RUN npm pkg delete devDependencies workspaces && npm prune --ignore-scripts --omit=peer

FROM node:22-bookworm-slim AS base
WORKDIR /app
ENV NODE_ENV=production
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY --from=build /app/dashboard/dist ./dashboard/dist
COPY bin ./bin
COPY prisma/migrations ./prisma/migrations
COPY scripts/install-cuda-provider.sh scripts/cuda-provider.txt scripts/install-tfjs-node.sh ./scripts/
RUN useradd --system --create-home --uid 10001 readapt \
  && mkdir -p /var/lib/readapt && chown readapt /var/lib/readapt
USER readapt
ENV READAPT_DATA_DIR=/var/lib/readapt READAPT_GRAPH_CACHE=/var/lib/readapt/graphs READAPT_BASE_CACHE_DIR=/var/lib/readapt/bases READAPT_HOST=0.0.0.0 READAPT_PORT=8080
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
