# One image for both servers: the command says which. Built on a machine with the package registries.
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN pip wheel --no-cache-dir --wheel-dir /wheels -c constraints.txt '.[demo]'

FROM python:3.11-slim-bookworm
RUN --mount=from=build,source=/wheels,target=/wheels pip install --no-cache-dir /wheels/*.whl \
 && useradd --create-home --uid 1000 mlitb && install -d -o mlitb -g mlitb /data
USER mlitb
VOLUME /data
EXPOSE 8000 8001
CMD ["mlitb", "up", "--host", "0.0.0.0", "--lan", "--data-dir", "/data"]
