# What smforge builds. versions.json is the second bake file: it holds the defaults of a variant,
# and `smforge build` resolves the variables of a variant and platform from it.
#
#   docker buildx bake -f docker-bake.hcl -f versions.json --print

# --- Set by the plan -----------------------------------------------------------------------------

variable "VARIANT" { default = "demo" }
variable "PLATFORM" { default = "linux/amd64" }
variable "CUDA_VERSION" { default = "13.0.2" }
variable "CUDA_TAG" { default = "cu130" }
variable "BASE_KIND" {
  default     = "packages"
  description = "packages: Debian and NVIDIA's wheels; registry: BASE_IMAGE"
}
variable "BASE_IMAGE" { default = "" }
variable "DEBIAN_SUITE" { default = "trixie" }
variable "CUDA_PACKAGES" {
  default     = ""
  description = "NVIDIA's compiler wheels, NAME==VERSION between spaces"
}
variable "TORCH_VERSION" { default = "2.14.0" }
variable "FLASHINFER_VERSION" { default = "0.7.2" }
variable "FLASHINFER_SHA256" {
  default     = ""
  description = "of the source archive"
}
variable "FLASHINFER_ARCHS" {
  default     = "11.0a 12.0f 12.1a"
  description = "targets between spaces; one wheel each"
}
variable "FLASHINFER_SELECTION" {
  default     = "core"
  description = "a key of docker/flashinfer/selections.json"
}
variable "SOURCE_DATE_EPOCH" { default = "0" }

# --- Set by the host that builds -----------------------------------------------------------------

variable "OUT_DIR" {
  default     = "out"
  description = "each target writes to a directory of its name below it"
}
variable "ROOTFS_DIR" {
  default     = "docker/base/rootfs"
  description = "holds rootfs.tar, made by builder.bake.rootfs, where BASE_KIND is packages"
}
variable "DEVICES" {
  default     = "11.0a 12.0f 12.1a 9.0a"
  description = "for flashinfer-test: what FlashInfer detects for a device, between spaces"
}
variable "MAX_JOBS" { default = "1" }
variable "CA_BUNDLE" {
  default     = ""
  description = "a PEM file that network steps trust instead of their image's certificates"
}
variable "PIP_CONFIG" {
  default     = ""
  description = "a pip.conf for network steps, where only a mirror is reachable"
}
variable "BUILD_NETWORK" {
  default     = "default"
  description = "host, where the engine's own network leads nowhere"
}
variable "CACHE_FROM" { default = "" }
variable "CACHE_TO" { default = "" }

function "present" {
  params = [value]
  result = value == "" ? [] : [value]
}
function "secret" {
  params = [id, file]
  result = file == "" ? [] : ["id=${id},src=${file}"]
}
# 12.0f is sm120f in names.
function "sm" {
  params = [target]
  result = "sm${replace(target, ".", "")}"
}

# --- Groups --------------------------------------------------------------------------------------

group "default" {
  targets = ["flashinfer"]
}
group "flashinfer" {
  targets = ["flashinfer-arch", "flashinfer-shim"]
}
group "validate" {
  targets = ["validate-root", "validate-base", "validate-flashinfer"]
}

# --- Targets -------------------------------------------------------------------------------------

target "_common" {
  platforms  = [PLATFORM]
  network    = BUILD_NETWORK
  secret     = concat(secret("ca", CA_BUNDLE), secret("pip", PIP_CONFIG))
  cache-from = present(CACHE_FROM)
  cache-to   = present(CACHE_TO)
  args = {
    SOURCE_DATE_EPOCH = SOURCE_DATE_EPOCH
  }
}

target "_validate" {
  inherits = ["_common"]
  call     = "check"
  output   = ["type=cacheonly"]
}

# The unpacked Debian file system; its context is the directory with rootfs.tar.
target "root" {
  inherits          = ["_common"]
  context           = ROOTFS_DIR
  dockerfile-inline = <<-DOCKERFILE
    FROM scratch
    ADD rootfs.tar /
  DOCKERFILE
  output = ["type=cacheonly"]
}

target "base" {
  inherits = ["_common"]
  context  = "docker/base"
  contexts = {
    root = BASE_KIND == "registry" ? "docker-image://${BASE_IMAGE}" : "target:root"
  }
  args = {
    BASE_KIND     = BASE_KIND
    CUDA_PACKAGES = CUDA_PACKAGES
  }
  output = ["type=cacheonly"]
}

target "_flashinfer" {
  inherits = ["_common"]
  context  = "docker/flashinfer"
  contexts = {
    base = "target:base"
  }
  args = {
    CUDA_TAG             = CUDA_TAG
    TORCH_VERSION        = TORCH_VERSION
    FLASHINFER_VERSION   = FLASHINFER_VERSION
    FLASHINFER_SHA256    = FLASHINFER_SHA256
    FLASHINFER_SELECTION = FLASHINFER_SELECTION
    MAX_JOBS             = MAX_JOBS
  }
}

# One provider wheel per architecture.
target "flashinfer-arch" {
  name     = "flashinfer-${sm(arch)}"
  inherits = ["_flashinfer"]
  matrix = {
    arch = compact(split(" ", FLASHINFER_ARCHS))
  }
  target = "provider"
  args = {
    ARCH = arch
  }
  output = ["type=local,dest=${OUT_DIR}/flashinfer-${sm(arch)}"]
}

# The wheel that FlashInfer imports to find the providers.
target "flashinfer-shim" {
  inherits = ["_flashinfer"]
  target   = "shim"
  args = {
    ARCHS = FLASHINFER_ARCHS
  }
  output = ["type=local,dest=${OUT_DIR}/flashinfer-shim"]
}

# Asks FlashInfer for the modules of the wheels below OUT_DIR, device by device, without a GPU.
target "flashinfer-test" {
  inherits = ["_flashinfer"]
  contexts = {
    wheels = OUT_DIR
  }
  target = "report"
  args = {
    DEVICES = DEVICES
  }
  output = ["type=local,dest=${OUT_DIR}/flashinfer-test"]
}

# Checks read no context, so that any directory stands for those that only a build has.
target "validate-root" {
  inherits = ["root", "_validate"]
  context  = "docker/base"
}
target "validate-base" {
  inherits = ["base", "_validate"]
  contexts = {
    root = "docker/base"
  }
}
target "validate-flashinfer" {
  inherits = ["_flashinfer", "_validate"]
  contexts = {
    base   = "docker/base"
    wheels = "docker/base"
  }
}
