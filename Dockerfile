# syntax=docker/dockerfile:1

ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
# Index for torch. Empty: PyPI, with CUDA. https://download.pytorch.org/whl/cpu: without CUDA.
ARG TORCH_INDEX_URL=
RUN python -m venv /opt/speech
ENV PATH=/opt/speech/bin:$PATH PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
COPY pyproject.toml ./
# A separate layer for the libraries, so that a change of the code does not reinstall them.
RUN --mount=type=cache,target=/root/.cache/pip \
    if [ -n "$TORCH_INDEX_URL" ]; then export PIP_INDEX_URL="$TORCH_INDEX_URL"; fi \
    && pip install torch==2.13.0
RUN --mount=type=cache,target=/root/.cache/pip \
    python -c "import tomllib; project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
        print(*project['dependencies'], *project['optional-dependencies']['clone'], \
        *project['optional-dependencies']['tracing'], sep='\n')" > requirements.txt \
    && pip install --requirement requirements.txt
COPY README.md LICENSE ./
COPY app app
COPY text_normaliser text_normaliser
COPY stress_test stress_test
RUN --mount=type=cache,target=/root/.cache/pip pip install --no-deps .

FROM ${PYTHON_IMAGE} AS stress-test
RUN pip install --no-cache-dir aiohttp==3.14.5 av==18.1.0 numpy==2.4.6 \
    && useradd --uid 10001 --no-create-home speech
WORKDIR /srv
COPY stress_test stress_test
USER 10001
CMD ["python", "-m", "stress_test"]

FROM ${PYTHON_IMAGE} AS service
RUN useradd --uid 10001 --home-dir /tmp --no-create-home speech \
    && install --directory --owner speech --mode 700 /var/cache/huggingface /var/lib/speech/voices /var/lib/speech/replays
COPY --from=build /opt/speech /opt/speech
ENV PATH=/opt/speech/bin:$PATH \
    HF_HOME=/var/cache/huggingface \
    VOICES_FOLDER=/var/lib/speech/voices \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001
WORKDIR /srv
VOLUME ["/var/cache/huggingface", "/var/lib/speech/voices", "/var/lib/speech/replays"]
EXPOSE 9091
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ.get(\"PORT\", 9091)}/health', timeout=4)"]
CMD ["python", "-m", "app"]
