# Three images from one file: `docker build --target service` (API, migrations, keys: no JAX), `worker` and `gpu-worker`.
# docker-compose.yml says how they run: as uid 10001, on a read-only root file system, without capabilities.

FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_CACHE_DIR=/var/cache/pip
WORKDIR /src
# Without pip of its own, the environment is copied as it stands and nothing in it can install.
RUN python -m venv --without-pip /opt/widthwise
# What names the dependencies, and no code: a change of code does not install them again. Each folder that becomes part
# of a wheel has to be there, so an empty file stands for it.
COPY requirements/constraints.txt requirements/constraints.txt
COPY pyproject.toml README.md LICENSE ./
COPY distributions distributions
COPY widthwise/version.py widthwise/version.py
COPY service/__init__.py service/__init__.py
COPY workers/__init__.py workers/__init__.py
COPY migrations/__init__.py migrations/__init__.py

FROM build AS build-service
RUN --mount=type=cache,target=/var/cache/pip \
    pip --python /opt/widthwise/bin/python install -c requirements/constraints.txt \
        . "distributions/server[service,postgres,broker,tracing]"

FROM build-service AS build-worker
RUN --mount=type=cache,target=/var/cache/pip \
    pip --python /opt/widthwise/bin/python install -c requirements/constraints.txt . "distributions/server[worker]"

# cuda12 runs on drivers from 525 on; cuda13 needs 580; tpu is for TPU hosts (docs/operations.md). All of these extras are
# of the jax that constraints.txt pins.
FROM build-worker AS build-gpu-worker
ARG JAX_EXTRA=cuda12
RUN --mount=type=cache,target=/var/cache/pip \
    pip --python /opt/widthwise/bin/python install -c requirements/constraints.txt "jax[${JAX_EXTRA}]"

# The documentation, which the API serves as its guide. Its references are written from the code, so it is built next to
# what the code depends on; MkDocs stays in this stage.
FROM build-service AS guide
RUN --mount=type=cache,target=/var/cache/pip \
    pip --python /opt/widthwise/bin/python install -c requirements/constraints.txt ".[docs]"
COPY mkdocs.yml CONTRIBUTING.md SECURITY.md ./
COPY tests/failures/README.md tests/failures/README.md
COPY docs docs
COPY docs_site docs_site
COPY widthwise widthwise
COPY service service
COPY workers workers
COPY migrations migrations
RUN /opt/widthwise/bin/python -m mkdocs build --strict

# The code alone, as two wheels: the same for all three.
FROM build AS code
COPY widthwise widthwise
COPY service service
COPY workers workers
COPY migrations migrations
COPY --from=guide /src/build/site build/site
RUN --mount=type=cache,target=/var/cache/pip pip wheel --no-deps --wheel-dir /wheels . distributions/server

FROM build-service AS installed-service
RUN --mount=type=bind,from=code,source=/wheels,target=/wheels \
    pip --python /opt/widthwise/bin/python install --no-deps --force-reinstall /wheels/*.whl

FROM build-worker AS installed-worker
RUN --mount=type=bind,from=code,source=/wheels,target=/wheels \
    pip --python /opt/widthwise/bin/python install --no-deps --force-reinstall /wheels/*.whl

FROM build-gpu-worker AS installed-gpu-worker
RUN --mount=type=bind,from=code,source=/wheels,target=/wheels \
    pip --python /opt/widthwise/bin/python install --no-deps --force-reinstall /wheels/*.whl

FROM python:3.11-slim-bookworm AS runtime
# No compiler is in this image; pip goes too, so nothing is installed at run time.
RUN pip uninstall --yes pip setuptools wheel \
    && groupadd --system --gid 10001 widthwise \
    && useradd --system --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin widthwise \
    && install --directory --owner=widthwise --group=widthwise --mode=0750 /data
ENV PATH=/opt/widthwise/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    WIDTHWISE_DATA_DIR=/data
WORKDIR /tmp
USER 10001:10001
ENTRYPOINT ["widthwise"]

FROM runtime AS gpu-worker
# The driver's libraries come from the host, by NVIDIA's container toolkit; this names the parts that JAX uses.
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility CUDA_CACHE_PATH=/data/cuda
COPY --from=installed-gpu-worker /opt/widthwise /opt/widthwise
CMD ["work", "--gpus", "all"]

FROM runtime AS worker
COPY --from=installed-worker /opt/widthwise /opt/widthwise
CMD ["work"]

# Last, so that it is what a build without --target makes.
FROM runtime AS service
COPY --from=installed-service /opt/widthwise /opt/widthwise
EXPOSE 8000
CMD ["serve", "--host", "0.0.0.0", "--port", "8000", "--workers", "0"]
