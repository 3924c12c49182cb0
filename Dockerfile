# The gateway in a container: built from this checkout, run by an unprivileged user.
#
#   docker build -t llm-gate .
#   docker run -p 127.0.0.1:8080:8080 -v llm-gate-data:/data llm-gate
#
# /data holds the keys (api_key, secret.key) and the database (db): keep that volume.

FROM debian:bookworm-slim AS build
WORKDIR /src
COPY dev ./
COPY .ci/packages.txt .ci/
RUN ./dev setup build console
COPY . .
# An image without its console would go unnoticed.
RUN ./dev build && test -e ui/dist/manifest.json \
    && DESTDIR=/out cmake --install build --prefix /usr/local --strip

FROM debian:bookworm-slim
LABEL org.opencontainers.image.title="llm-gate" \
      org.opencontainers.image.description="LLM API gateway" \
      org.opencontainers.image.licenses="MIT"
RUN apt-get update -q \
    && apt-get install -q -y --no-install-recommends \
       ca-certificates libcjson1 libcurl4 libh2o-evloop0.13 liblua5.4-0 libqrencode4 \
       librocksdb7.8 libssl3 tzdata \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --no-create-home --home-dir /data \
       --shell /usr/sbin/nologin gate \
    && install -d -o gate -g gate -m 0700 /data
COPY --from=build /out/usr/local /usr/local
COPY --chown=gate:gate conf /conf

ENV LLM_GATE_LISTEN=0.0.0.0:8080 \
    LLM_GATE_DATA_DIR=/data \
    LLM_GATE_CONF_DIR=/conf
USER 10001:10001
WORKDIR /data
VOLUME ["/data", "/conf"]
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=4s --start-period=5s --retries=3 \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/${LLM_GATE_LISTEN##*:} && printf 'GET /health HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3 && read -r -t 3 line <&3 && [[ $line == 'HTTP/1.1 200'* ]]"]
ENTRYPOINT ["/usr/local/bin/llm-gate"]
