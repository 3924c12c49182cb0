# Builds dist/ anew where it is older than what it is made from, and touches STAMP. Run by the build:
#
#     cmake -DUI=... -DNPM=... -DSOURCES=... -DSTAMP=... -P build.cmake
#
# Where the packages cannot be had (no network), the dist/ that is there goes into the binary, or
# none, and STAMP is not touched; what fails to compile fails the build.
cmake_minimum_required(VERSION 3.25)

set(manifest "${UI}/dist/manifest.json")
set(stale false)
foreach(source IN LISTS SOURCES)
  if("${source}" IS_NEWER_THAN "${manifest}")
    set(stale true)
  endif()
endforeach()
if(NOT stale)
  file(TOUCH "${STAMP}")
  return()
endif()

if("${UI}/package-lock.json" IS_NEWER_THAN "${UI}/node_modules/.package-lock.json")
  execute_process(COMMAND "${NPM}" ci --no-audit --no-fund --loglevel=error
                          --fetch-retries=1 --fetch-retry-mintimeout=1000
                  WORKING_DIRECTORY "${UI}" RESULT_VARIABLE failed)
  if(failed AND EXISTS "${manifest}")
    message(WARNING "npm ci failed in ui/: the console of ui/dist is used as it is")
    return()
  elseif(failed)
    message(WARNING "npm ci failed in ui/: the gateway is built without its console")
    return()
  endif()
endif()
execute_process(COMMAND "${NPM}" run build --silent WORKING_DIRECTORY "${UI}"
                RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "npm run build failed in ui/")
endif()
file(TOUCH "${STAMP}")
