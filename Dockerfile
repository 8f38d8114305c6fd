# The embedded service in one container: API, page, SQLite and local workers on CPU.
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1
WORKDIR /app

# Dependencies first: they change less often than the code.
COPY requirements/constraints.txt requirements/constraints.txt
COPY pyproject.toml README.md LICENSE ./
COPY widthwise widthwise
COPY service service
COPY workers workers
COPY migrations migrations
RUN pip install -c requirements/constraints.txt ".[service,worker,postgres]" \
    && useradd --system --create-home --uid 10001 widthwise \
    && install -d -o widthwise /data

USER widthwise
VOLUME /data
EXPOSE 8000
ENTRYPOINT ["widthwise"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000", "--data-dir", "/data"]
