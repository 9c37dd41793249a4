# syntax=docker/dockerfile:1
# Targets: api (the REST service), worker (CPU training worker), worker-gpu (see docs/deployment.md: not verified on a card).
FROM node:22-bookworm-slim AS base
WORKDIR /app
ENV NODE_ENV=production
COPY package.json package-lock.json .npmrc prisma.config.ts ./
COPY scripts ./scripts
COPY prisma ./prisma
RUN npm ci --omit=dev
COPY bin ./bin
COPY cli ./cli
COPY src ./src
COPY workers ./workers
COPY tsconfig.json ./
RUN node scripts/postinstall.js \
  && useradd --system --create-home --uid 10001 readapt \
  && mkdir -p /var/lib/readapt && chown readapt /var/lib/readapt
USER readapt
ENV READAPT_DATA_DIR=/var/lib/readapt READAPT_HOST=0.0.0.0 READAPT_PORT=8080
VOLUME /var/lib/readapt

FROM base AS api
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8080/readyz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "bin/readapt.js", "serve"]

FROM base AS worker
CMD ["node", "bin/readapt.js", "worker"]

# ONNX Runtime's CUDA provider needs CUDA 12 and cuDNN 9 in the image and the libraries that onnxruntime-node's install
# script fetches. The steps are described in docs/deployment.md; this project has not run them on a card.
FROM nvidia/cuda:12.6.3-cudnn-runtime-ubuntu22.04 AS worker-gpu
COPY --from=base /usr/local/bin/node /usr/local/bin/node
COPY --from=base /usr/local/lib/node_modules /usr/local/lib/node_modules
COPY --from=base /app /app
WORKDIR /app
RUN node node_modules/onnxruntime-node/script/install --onnxruntime-node-install=cuda12
ENV NODE_ENV=production READAPT_DATA_DIR=/var/lib/readapt
CMD ["node", "bin/readapt.js", "worker"]
