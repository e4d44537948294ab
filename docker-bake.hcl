# What smforge builds. versions.json is the second bake file: it holds the defaults of a variant,
# and `smforge build` resolves the variables of a variant and platform from it.
#
#   docker buildx bake -f docker-bake.hcl -f versions.json --print

# --- Set by the plan -----------------------------------------------------------------------------
# Versions and arch lists stand in versions.json alone; without it nothing can be built.

variable "VARIANT" { default = "demo" }
variable "PLATFORM" { default = "linux/amd64" }
variable "CUDA_VERSION" { default = "" }
variable "CUDA_TAG" { default = "" }
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
variable "TORCH_VERSION" { default = "" }
variable "TORCH_BUILD" {
  default     = ""
  description = "the CUDA build of torch, where it is not that of CUDA_TAG: cu132"
}
variable "FLASHINFER_VERSION" { default = "" }
variable "FLASHINFER_SHA256" {
  default     = ""
  description = "of the source archive"
}
variable "FLASHINFER_ARCHS" {
  default     = ""
  description = "targets between spaces; one wheel each"
}
variable "FLASHINFER_SELECTION" {
  default     = "core"
  description = "a key of docker/flashinfer/selections.json"
}
variable "VLLM_VERSION" { default = "" }
variable "VLLM_SHA256" {
  default     = ""
  description = "of the source archive"
}
variable "VLLM_ARCHS" {
  default     = ""
  description = "in the grammar of TORCH_CUDA_ARCH_LIST, between spaces; empty: no vLLM"
}
variable "VLLM_EXTENSIONS" {
  default     = ""
  description = "the extension targets to compile, between spaces; empty: all"
}
variable "VLLM_PUBLISHED" {
  default     = ""
  description = "the published wheel that is taken in place of a compilation; empty: none"
}
variable "VLLM_KEEP" {
  default     = ""
  description = "the devices whose code stays in it, between spaces"
}
variable "VLLM_REPAIR" {
  default     = ""
  description = "not empty: machine code is made from PTX where these devices have nothing else"
}
variable "LMCACHE_VERSION" { default = "" }
variable "LMCACHE_SHA256" {
  default     = ""
  description = "of the source archive"
}
variable "LMCACHE_ARCHS" {
  default     = ""
  description = "in torch's grammar, between spaces; empty: no LMCache"
}
variable "LMCACHE_PUBLISHED" {
  default     = ""
  description = "as VLLM_PUBLISHED"
}
variable "LMCACHE_KEEP" { default = "" }
variable "LMCACHE_REPAIR" { default = "" }
variable "CONNECTORS" {
  default     = ""
  description = "connectors taken as published: one line each, NAME==VERSION --hash=sha256:…"
}
variable "DISPATCHERS" {
  default     = ""
  description = "distributions that pick among builds per CUDA, as CONNECTORS; only the variant's build is kept"
}
variable "IMAGE" {
  default     = ""
  description = "the name of the image, without a tag"
}
variable "IMAGE_TAG" { default = "" }
variable "IMAGE_USER" {
  default     = "root"
  description = "the user that the image runs as: root or vllm"
}
variable "IMAGE_COMPONENTS" {
  default     = "flashinfer"
  description = "the locks below docker/image/requirements that the image needs, between spaces"
}
variable "TRITON_PTXAS" {
  default     = "bundled"
  description = "toolkit: the base's ptxas takes the place of the one that Triton brings"
}
variable "TRITON_PTXAS_BLACKWELL" { default = "bundled" }
variable "REQUIRED_DEVICES" {
  default     = ""
  description = "what the image promises to run on, between spaces"
}
variable "REQUIRED_TARGETS" { default = "" }
variable "SOURCE_DATE_EPOCH" { default = "0" }

# --- Set by the host that builds -----------------------------------------------------------------

variable "OUT_DIR" {
  default     = "out"
  description = "each target writes to a directory of its name below it"
}
variable "ROOTFS_DIR" {
  default     = "docker/base/rootfs"
  description = "holds rootfs.tar, made by smforge.bake.inputs.rootfs, where BASE_KIND is packages"
}
variable "REVISION" {
  default     = ""
  description = "the commit of the checkout that builds"
}
variable "RUNTIME_ROOTFS_DIR" {
  default     = "docker/base/rootfs"
  description = "as ROOTFS_DIR, without compilers: what the image starts from"
}
variable "AUDIT_ROOTFS_DIR" {
  default     = "docker/base/rootfs"
  description = "as ROOTFS_DIR, with Python alone: what the audit tool's image starts from"
}
variable "AUDIT_TOOL_VERSION" {
  default     = "checkout"
  description = "the version of smforge in the audit tool's image"
}
variable "EXTERNALS_DIR" {
  default     = "docker/vllm"
  description = "the sources that vLLM's CMake would clone, one directory each"
}
variable "SMFORGE_PACKAGE" {
  default     = "builder/smforge"
  description = "the installed package of smforge, whose programs run in a build"
}
variable "PUBLISHED_DIR" {
  default     = "docker/published"
  description = "the published wheels that are taken, each in a directory of its component's name"
}
variable "CUBINS_DIR" {
  default     = "docker/published"
  description = "machine code that smforge slim and smforge repair made on this host before"
}
variable "VLLM_SOURCE" {
  default     = ""
  description = "a checkout of vLLM that is built instead of the release"
}
variable "SMFORGE_SCCACHE" {
  default     = ""
  description = "a file with sccache's settings for a store that machines share; empty: a cache of the builder"
}
variable "SBOM_SCANNER" {
  default     = ""
  description = "an image that makes the bill of materials, by BuildKit's scanning protocol"
}
variable "BUILD_PLATFORM" {
  default     = ""
  description = "where wheels are compiled; empty: natively on PLATFORM"
}
variable "CROSS_CPU" {
  default     = ""
  description = "PLATFORM's CPU as compilers call it, where BUILD_PLATFORM is another"
}
variable "DEVICES" {
  default     = "11.0a 12.0f 12.1a 9.0a"
  description = "for flashinfer-test: what FlashInfer detects for a device, between spaces"
}
variable "MAX_JOBS" { default = "1" }
variable "NVCC_THREADS" { default = "1" }
variable "CA_BUNDLE" {
  default     = ""
  description = "a PEM file that network steps trust instead of their image's certificates"
}
variable "PIP_CONFIG" {
  default     = ""
  description = "a pip.conf for network steps, where only a mirror is reachable"
}
variable "PROXY_HTTP" {
  default     = ""
  description = "the proxy of steps for http, without credentials: provenance shows it"
}
variable "PROXY_HTTPS" { default = "" }
variable "PROXY_NONE" {
  default     = ""
  description = "hosts that steps reach without a proxy, as NO_PROXY has them"
}
variable "BUILD_NETWORK" {
  default     = "default"
  description = "host, where the engine's own network leads nowhere"
}

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

# What an image is about, in words.
function "content" {
  params = []
  result = has_vllm() ? "vLLM ${VLLM_VERSION}" : "FlashInfer ${FLASHINFER_VERSION}"
}
function "has_vllm" {
  params = []
  result = VLLM_ARCHS != "" || VLLM_PUBLISHED != ""
}
# The target that makes LMCache's wheel; empty: no LMCache.
function "lmcache_target" {
  params = []
  result = LMCACHE_PUBLISHED != "" ? "lmcache-published" : LMCACHE_ARCHS != "" ? "lmcache" : ""
}
function "wheel_targets" {
  params = []
  result = concat(
    [for arch in compact(split(" ", FLASHINFER_ARCHS)) : "flashinfer-${sm(arch)}"],
    FLASHINFER_ARCHS == "" ? [] : ["flashinfer-shim"],
    VLLM_ARCHS == "" ? [] : ["vllm"],
    VLLM_PUBLISHED == "" ? [] : ["vllm-published"],
    present(lmcache_target()),
    CONNECTORS == "" ? [] : ["connectors"],
  )
}

# --- Groups --------------------------------------------------------------------------------------

group "default" {
  targets = ["flashinfer"]
}
group "flashinfer" {
  targets = ["flashinfer-arch", "flashinfer-shim"]
}
group "validate" {
  targets = [
    "validate-root", "validate-base", "validate-torch", "validate-cross", "validate-flashinfer",
    "validate-vllm", "validate-lmcache", "validate-published", "validate-connectors", "validate-image",
    "validate-audit-tool", "validate-compile-cache",
  ]
}

# --- Targets -------------------------------------------------------------------------------------

target "_common" {
  platforms = [BUILD_PLATFORM == "" ? PLATFORM : BUILD_PLATFORM]
  network   = BUILD_NETWORK
  secret    = concat(secret("ca", CA_BUNDLE), secret("pip", PIP_CONFIG))
  # BuildKit gives arguments of these names to every step, and leaves them out of its cache's keys.
  args = { for name, value in {
    SOURCE_DATE_EPOCH = SOURCE_DATE_EPOCH
    HTTP_PROXY        = PROXY_HTTP
    HTTPS_PROXY       = PROXY_HTTPS
    NO_PROXY          = PROXY_NONE
  } : name => value if value != "" }
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

# The base with torch, which everything that is compiled against torch starts from.
target "torch" {
  inherits = ["_common"]
  context  = "docker/torch"
  contexts = {
    base = "target:base"
  }
  args = {
    CUDA_TAG      = TORCH_BUILD == "" ? CUDA_TAG : TORCH_BUILD
    TORCH_VERSION = TORCH_VERSION
  }
  output = ["type=cacheonly"]
}

# The same, compiling for CROSS_CPU.
target "cross" {
  inherits   = ["_common"]
  context    = "docker/base"
  dockerfile = "cross.Dockerfile"
  contexts = {
    torch = "target:torch"
  }
  args = {
    CROSS_CPU     = CROSS_CPU
    CUDA_PACKAGES = CUDA_PACKAGES
  }
  output = ["type=cacheonly"]
}

# sccache, which steps that compile mount.
target "compile-cache" {
  inherits = ["_common"]
  context  = "docker/compile-cache"
  contexts = {
    base    = "target:base"
    smforge = SMFORGE_PACKAGE
  }
  output = ["type=cacheonly"]
}

target "_compiled" {
  inherits = ["_common"]
  contexts = {
    compile-cache = "target:compile-cache"
  }
  secret = secret("sccache", SMFORGE_SCCACHE)
  args = {
    COMPILE_CACHE = SMFORGE_SCCACHE == "" ? "local" : "shared"
    MAX_JOBS      = MAX_JOBS
  }
}

target "_flashinfer" {
  inherits = ["_compiled"]
  context  = "docker/flashinfer"
  contexts = {
    base  = "target:base"
    torch = CROSS_CPU == "" ? "target:torch" : "target:cross"
  }
  args = {
    CUDA_TAG             = CUDA_TAG
    FLASHINFER_VERSION   = FLASHINFER_VERSION
    FLASHINFER_SHA256    = FLASHINFER_SHA256
    FLASHINFER_SELECTION = FLASHINFER_SELECTION
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
    ARCHS     = FLASHINFER_ARCHS
    CROSS_CPU = CROSS_CPU
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

# vLLM's wheel, with the extensions that the variant selects.
target "vllm" {
  inherits = ["_compiled"]
  context  = "docker/vllm"
  contexts = {
    torch     = "target:torch"
    externals = EXTERNALS_DIR
    checkout  = VLLM_SOURCE == "" ? "docker/vllm" : VLLM_SOURCE
  }
  target = "wheel"
  args = {
    CUDA_TAG        = CUDA_TAG
    VLLM_FROM       = VLLM_SOURCE == "" ? "sdist" : "checkout"
    VLLM_VERSION    = VLLM_VERSION
    VLLM_SHA256     = VLLM_SHA256
    VLLM_ARCHS      = VLLM_ARCHS
    VLLM_EXTENSIONS = VLLM_EXTENSIONS
    NVCC_THREADS    = NVCC_THREADS
  }
  output = ["type=local,dest=${OUT_DIR}/vllm"]
}

# LMCache's wheel, its CUDA operators compiled.
target "lmcache" {
  inherits = ["_compiled"]
  context  = "docker/connectors"
  contexts = {
    torch = "target:torch"
  }
  target = "lmcache"
  args = {
    CUDA_TAG        = CUDA_TAG
    LMCACHE_VERSION = LMCACHE_VERSION
    LMCACHE_SHA256  = LMCACHE_SHA256
    LMCACHE_ARCHS   = LMCACHE_ARCHS
  }
  output = ["type=local,dest=${OUT_DIR}/lmcache"]
}

# A published wheel without the code that no device of the variant needs, and with machine code for
# them where the wheel has PTX alone. The builder's own CPU does this for every platform.
target "_published" {
  inherits = ["_common"]
  context  = "docker/published"
  contexts = {
    torch   = "target:torch"
    cubins  = CUBINS_DIR
    smforge = SMFORGE_PACKAGE
  }
  target = "wheel"
}

target "published" {
  name     = "${item.component}-published"
  inherits = ["_published"]
  matrix = {
    item = [
      { component = "vllm", keep = VLLM_KEEP, repair = VLLM_REPAIR },
      { component = "lmcache", keep = LMCACHE_KEEP, repair = LMCACHE_REPAIR },
    ]
  }
  contexts = {
    published = "${PUBLISHED_DIR}/${item.component}"
  }
  args = {
    COMPONENT = item.component
    KEEP      = item.keep
    REPAIR    = item.repair
  }
  output = ["type=local,dest=${OUT_DIR}/${item.component}"]
}

target "validate-published" {
  inherits = ["_published", "_validate"]
  contexts = {
    torch     = "docker/base"
    published = "docker/base"
  }
}

# The connectors that are taken as published, and the lock of what all connectors need.
target "connectors" {
  inherits = ["_common"]
  context  = "docker/connectors"
  contexts = {
    for name, place in {
      base                     = "target:base"
      lmcache-wheel-of-variant = lmcache_target() == "" ? "" : "target:${lmcache_target()}"
    } : name => place if place != ""
  }
  target = "wheelhouse"
  args = {
    CUDA_TAG      = CUDA_TAG
    TORCH_VERSION = TORCH_VERSION
    CONNECTORS    = CONNECTORS
    DISPATCHERS   = DISPATCHERS
  }
  output = ["type=local,dest=${OUT_DIR}/connectors"]
}

target "validate-lmcache" {
  inherits = ["lmcache", "_validate"]
  contexts = {
    compile-cache = "docker/base"
    torch = "docker/base"
  }
}
target "validate-connectors" {
  inherits = ["connectors", "_validate"]
  contexts = {
    base                     = "docker/base"
    lmcache-wheel-of-variant = "docker/base"
  }
}

# Every wheel of the variant in one place, for the image.
target "wheels" {
  inherits          = ["_common"]
  context           = "docker/image"
  contexts          = { for name in wheel_targets() : name => "target:${name}" }
  dockerfile-inline = <<-DOCKERFILE
    FROM scratch
    %{ for name in wheel_targets() ~}
    COPY --from=${name} /*.whl /
    %{ endfor ~}
  DOCKERFILE
  output = ["type=cacheonly"]
}

target "runtime-root" {
  inherits  = ["root"]
  platforms = [PLATFORM]
  context   = RUNTIME_ROOTFS_DIR
}

target "_image" {
  inherits  = ["_common"]
  platforms = [PLATFORM]
  context   = "docker/image"
  contexts = {
    root   = "target:runtime-root"
    base   = "target:base"
    wheels = "target:wheels"
    probes = "${SMFORGE_PACKAGE}/inventory/probing/programs"
  }
  args = {
    CUDA_TAG                = CUDA_TAG
    IMAGE_COMPONENTS        = IMAGE_COMPONENTS
    IMAGE_ENTRY             = has_vllm() ? "vllm" : "python"
    IMAGE_USER              = IMAGE_USER
    FLASHINFER_SELECTION    = FLASHINFER_SELECTION
    TRITON_PTXAS            = TRITON_PTXAS
    TRITON_PTXAS_BLACKWELL  = TRITON_PTXAS_BLACKWELL
    REQUIRED_DEVICES        = REQUIRED_DEVICES
  }
}

# What is published once its audit passes, as an OCI layout.
target "image" {
  inherits = ["_image"]
  target   = "image"
  tags     = ["${IMAGE}:${IMAGE_TAG}"]
  labels = { for key, value in {
    "org.opencontainers.image.title"       = IMAGE
    "org.opencontainers.image.description" = "${content()} for CUDA ${CUDA_VERSION} on compute capability ${REQUIRED_DEVICES}"
    "org.opencontainers.image.version"     = IMAGE_TAG
    "org.opencontainers.image.revision"    = REVISION
    "org.opencontainers.image.licenses"    = "Apache-2.0 AND LicenseRef-NVIDIA-Proprietary"
    "org.opencontainers.image.created"     = timeadd("1970-01-01T00:00:00Z", "${SOURCE_DATE_EPOCH}s")
    "io.smforge.variant"                   = VARIANT
    "io.smforge.cuda"                      = CUDA_VERSION
    "io.smforge.devices"                   = REQUIRED_DEVICES
    "io.smforge.targets"                   = REQUIRED_TARGETS
  } : key => value if value != "" }
  # Without a scanner, smforge adds a bill of materials of its own once the image has passed.
  attest = concat(
    ["type=provenance,mode=max"],
    SBOM_SCANNER == "" ? [] : ["type=sbom,generator=${SBOM_SCANNER}"],
  )
  # No rewrite-timestamp: it compresses every layer twice. The steps set the times themselves.
  # force-compression: a layer that went to a cache before may be there as gzip, and would stay so.
  output = ["type=oci,tar=false,compression=zstd,force-compression=true,dest=${OUT_DIR}/image"]
}

# What a builder without a GPU can find out by running the image.
target "image-check" {
  inherits = ["_image"]
  target   = "facts"
  output   = ["type=local,dest=${OUT_DIR}/image-check"]
}

# The audit tool itself, as an OCI layout: `make audit-tool` builds it from dist/ of a checkout.
target "audit-root" {
  inherits  = ["root"]
  platforms = [PLATFORM]
  context   = AUDIT_ROOTFS_DIR
}
target "audit-tool" {
  inherits  = ["_common"]
  platforms = [PLATFORM]
  context   = "docker/audit"
  contexts = {
    root         = "target:audit-root"
    devel        = "target:root"
    site         = "docker/base"
    locks        = "requirements"
    distribution = "dist"
  }
  tags = ["smforge/audit:${AUDIT_TOOL_VERSION}"]
  labels = { for key, value in {
    "org.opencontainers.image.title"       = "smforge/audit"
    "org.opencontainers.image.description" = "Shows which GPU runs every kernel of a wheel, a library or an image"
    "org.opencontainers.image.version"     = AUDIT_TOOL_VERSION
    "org.opencontainers.image.revision"    = REVISION
    "org.opencontainers.image.licenses"    = "Apache-2.0 AND LicenseRef-NVIDIA-Proprietary"
    "org.opencontainers.image.created"     = timeadd("1970-01-01T00:00:00Z", "${SOURCE_DATE_EPOCH}s")
  } : key => value if value != "" }
  attest = ["type=provenance,mode=max"]
  output = ["type=oci,tar=false,rewrite-timestamp=true,compression=zstd,dest=${OUT_DIR}/image"]
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
target "validate-torch" {
  inherits = ["torch", "_validate"]
  contexts = {
    base = "docker/base"
  }
}
target "validate-cross" {
  inherits = ["cross", "_validate"]
  contexts = {
    torch = "docker/base"
  }
}
target "validate-compile-cache" {
  inherits = ["compile-cache", "_validate"]
  contexts = {
    base = "docker/base"
  }
}
target "validate-vllm" {
  inherits = ["vllm", "_validate"]
  contexts = {
    compile-cache = "docker/base"
    torch     = "docker/base"
    externals = "docker/base"
  }
}
target "validate-flashinfer" {
  inherits = ["_flashinfer", "_validate"]
  contexts = {
    compile-cache = "docker/base"
    base   = "docker/base"
    torch  = "docker/base"
    wheels = "docker/base"
  }
}
target "validate-image" {
  inherits = ["_image", "_validate"]
  contexts = {
    root   = "docker/base"
    base   = "docker/base"
    wheels = "docker/base"
    probes = "docker/base"
  }
}
target "validate-audit-tool" {
  inherits = ["audit-tool", "_validate"]
  contexts = {
    root         = "docker/base"
    devel        = "docker/base"
    locks        = "docker/base"
    distribution = "docker/base"
  }
}
