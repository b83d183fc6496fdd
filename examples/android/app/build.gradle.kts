plugins {
    id("com.android.application")
}

android {
    namespace = "lstd.app"
    compileSdk = 36
    defaultConfig {
        applicationId = "lstd.app"
        minSdk = 28
        targetSdk = 36
        versionCode = 1
        versionName = "1.0"
    }
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_17
        targetCompatibility = JavaVersion.VERSION_17
    }
    androidResources {
        noCompress += "tflite" // LiteRT maps the file into memory.
    }
}

dependencies {
    implementation(project(":loop"))
    implementation("com.google.ai.edge.litert:litert:2.3.0")
    implementation("androidx.activity:activity:1.13.0")
    implementation("androidx.camera:camera-camera2:1.6.2")
    implementation("androidx.camera:camera-lifecycle:1.6.2")
}
